"""What the business wants, one direction per file."""
