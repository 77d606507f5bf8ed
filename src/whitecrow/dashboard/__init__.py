"""The console in the browser: screens on the ASGI application of a server. It shows, and computes nothing itself.

How it is made, for who adds to it:

- :func:`mount` puts the screens of :data:`whitecrow.dashboard.screens.SCREENS` on an application. A screen is one
  module of ``screens`` with a ``SCREEN`` and a ``build`` function, and one entry in that tuple; the navigation follows.
- ``build`` gets a :class:`whitecrow.dashboard.shell.Page`: the workspace, the state of the URL, and what every screen
  needs (threads, errors, announcements, keys, dialogs). The frame around it is there already.
- All that a view depends on is a field of :class:`whitecrow.dashboard.state.ViewState`, so that a reload, the back
  button and a link that is sent to somebody else show the same.
- Charts come from :mod:`~whitecrow.dashboard.charts`, tables of many rows from :mod:`~whitecrow.dashboard.tables`,
  small ones and figures from :mod:`~whitecrow.dashboard.parts`, colours from :mod:`~whitecrow.dashboard.palette` alone.
- Text from data is shown as text. No name or value of a user becomes HTML, Markdown, a key of options, or JavaScript.
"""

from whitecrow.dashboard.application import mount
from whitecrow.dashboard.uploads import UploadLimits

__all__ = ["UploadLimits", "mount"]
