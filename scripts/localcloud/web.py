"""The web server's connections, with one fault of it mended."""

from __future__ import annotations

from waitress.channel import HTTPChannel


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection on which an upload without content is answered.

    waitress 3.0.2 goes on waiting for a body after `100 Continue`, although the headers say that it has none: boto3
    asks for that answer before each PutObject, and an empty one timed out.
    """

    def send_continue(self) -> None:
        """Let the client go on; with nothing to be sent the request is whole already."""
        whole = bool(self.request.completed)
        super().send_continue()
        self.request.completed = whole
