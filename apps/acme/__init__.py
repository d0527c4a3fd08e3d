"""Keeps the page's certificate of an ACME server: has it renewed before it ends, and says why where it is not."""
