"""Runs the warehouse: loads raw files, builds, predicts, audits and publishes."""
