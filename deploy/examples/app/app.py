"""Asks an LLM a question every few seconds and prints the answer as it comes, until SIGTERM.

Nothing here knows of egret: OPENAI_BASE_URL and OPENAI_API_KEY in the environment lead the SDK to it.
"""

import os
import signal
import threading

from openai import OpenAI, OpenAIError

client = OpenAI()
ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())

while not ended.is_set():
    try:
        stream = client.chat.completions.create(
            model=os.environ.get("MODEL", "chat"),
            messages=[{"role": "user", "content": "Is the tide high?"}],
            stream=True,
        )
        for chunk in stream:
            if chunk.choices:
                print(chunk.choices[0].delta.content or "", end="", flush=True)
        print(flush=True)
    except OpenAIError as error:
        print(f"no answer: {error}", flush=True)
    ended.wait(2)
