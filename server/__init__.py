"""Ringfence: accounts that never go negative, and a cron service without a leader."""

__version__ = "0.1.0"
