"""Where prices come from: a list in a file, OpenCost's metrics, OpenCost's API; and the port that all of them fill."""

from aiops.adapters.prices.feed import Feed, FeedOptions, unread
from aiops.adapters.prices.listed import ListFile, Terms, read_list
from aiops.adapters.prices.opencost_api import OpenCostApi, OpenCostOptions
from aiops.adapters.prices.opencost_metrics import OpenCostMetrics

__all__ = [
    "Feed",
    "FeedOptions",
    "ListFile",
    "OpenCostApi",
    "OpenCostMetrics",
    "OpenCostOptions",
    "Terms",
    "read_list",
    "unread",
]
