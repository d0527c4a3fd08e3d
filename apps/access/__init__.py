"""Who may look at what: the hashes of passwords and tokens, and the file that the program writes and the page reads."""
