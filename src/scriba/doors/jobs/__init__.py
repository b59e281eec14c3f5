"""Scriba's own jobs: order, watch, fetch the result."""
