"""From the looks of one discovery to everything that its adoption writes: terms under another policy page by page, what
was said of chains as it is said, and then all else in one transaction (``resolving``).

``seen`` what was seen · ``estate`` what is known of it · ``identity`` whose it is (DESIGN rule 10) · ``telling`` what
lifecycles are told · ``targets`` who owns which file · ``defects`` what is wrong · ``policy_change`` terms made anew
· ``verdicts`` how long what was said of a chain holds.
"""
