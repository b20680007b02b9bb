"""What Prefect's API can be asked, one file a noun. Pure: each function describes a request and sends nothing. Routes stand only here."""
