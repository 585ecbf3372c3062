"""The heart: how a record is read, judged, asked about, written once and accounted for. It knows no system, no pair."""
