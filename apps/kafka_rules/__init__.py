"""The job that makes the brokers' access rules from a table of what each client may do."""
