"""The known vulnerabilities of what the repository pins (`make scan`)."""
