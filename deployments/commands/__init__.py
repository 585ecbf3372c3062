"""One module per group of commands; a new one needs no entry anywhere. Prefect is imported inside a command only."""
