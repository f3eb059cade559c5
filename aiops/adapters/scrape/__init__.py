"""Scraping /metrics without a Prometheus: samples in memory, and PromQL over them; see docs/edge.md."""
