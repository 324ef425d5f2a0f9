"""The program: the Textual app and the command line of qevm."""
