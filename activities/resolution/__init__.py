"""From the looks of one discovery to everything that its adoption writes; reads the store, writes nothing.

``seen`` what was seen · ``estate`` what is known of it · ``identity`` whose it is (DESIGN rule 10) · ``telling`` what
lifecycles are told · ``targets`` who owns which file · ``defects`` what is wrong · ``policy_change`` terms made anew.
"""
