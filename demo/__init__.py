"""The sample estate: real TLS endpoints on loopback, its policy, its owners, its mailbox."""
