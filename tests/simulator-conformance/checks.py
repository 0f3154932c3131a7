"""One line for each check, and whether all of them held."""
import time
import traceback


class Checks:
    """The checks of one client against one org."""

    def __init__(self, client):
        self.client = client
        self.failed = 0

    def check(self, sentence):
        """Runs a function at once; what it returns is kept as its `value`."""

        def run(function):
            begun = time.monotonic()
            function.value = None
            try:
                function.value = function()
                verdict = "ok  "
            except Exception as error:  # a check may fail in any way
                self.failed += 1
                place = traceback.extract_tb(error.__traceback__)[-1]
                said = " ".join(str(error).split())[:400]
                verdict = "FAIL"
                sentence_told = f"{sentence}\n       {type(error).__name__} at line {place.lineno}: {said}"
            told = sentence if verdict == "ok  " else sentence_told
            print(f"{verdict} {time.monotonic() - begun:5.1f} s  {self.client}: {told}", flush=True)
            return function

        return run

    def end(self):
        """The exit code."""
        return 1 if self.failed else 0
