"""Where the foundation models lie: shipped, in a folder, or in the hub's local cache.

`Sources` names them by settings, says what is missing, and gives their folders and digest; `fetch`
downloads what is missing. No weights are read here, and only `fetch` asks the network.
"""

from .components import FILES, SHIPPED, Component
from .fetching import fetch
from .sources import SUMS, Sources

__all__ = ["FILES", "SHIPPED", "SUMS", "Component", "Sources", "fetch"]
