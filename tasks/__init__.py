"""The cached steps that every flow chains: auth, fetch, match_check, dedupe and write."""
