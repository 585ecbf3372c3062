"""The engine: everything the connector knows that has nothing to do with Prefect."""
