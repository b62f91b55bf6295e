"""A writer that answers by a function, for tests of what stands around writers."""


class ScriptedWriter:
    """`plan(request)` gives a text, or a dictionary of fields of the answer. Keeps what it was asked."""

    name, revision = "m", "r"

    def __init__(self, plan=lambda request: "fine"):
        self.plan, self.asked = plan, []

    def stream(self, requests):
        for request in requests:
            self.asked.append(request)
            said = self.plan(request)
            given = said if isinstance(said, dict) else {"text": said}
            yield (
                request,
                {
                    "text": None,
                    "error": None,
                    "finish_reason": "stop",
                    "prompt_tokens": 100,
                    "completion_tokens": 10,
                    "tries": 1,
                }
                | given,
            )
