"""Learning: frames in, frames and estimators out. No database, no scheduler, no command line."""
