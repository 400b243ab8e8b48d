"""How people and machines ask: HTTP in, problems out; decides nothing and touches nothing but store and Temporal."""
