"""Chains of jobs in celery, as its defaults have it."""
import os
import threading
import time

from celery import Celery, signals

CHAINS, WARM, COUNTED = 64, 2, 4
app = Celery("chain", broker=os.environ["PEER_BROKER"].split("?")[0])
# the chains of an earlier run are still in its queue
app.conf.task_default_queue = f"chain-{os.getpid()}"
# what is printed here is the figure, no line of its log
app.conf.worker_redirect_stdouts = False
done = 0


@app.task
def link():
    global done
    link.delay()
    done += 1


def count():
    for _ in range(CHAINS):
        link.delay()
    time.sleep(WARM)
    before, began = done, time.monotonic()
    time.sleep(COUNTED)
    print(f"jobs a second: {(done - before) / (time.monotonic() - began):.0f}", flush=True)
    os._exit(0)


@signals.worker_ready.connect
def ready(**_):
    threading.Thread(target=count, daemon=True).start()
