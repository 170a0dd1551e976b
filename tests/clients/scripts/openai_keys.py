"""API keys with `openai`: a wrong one and too many requests of a right one arrive as the client's own classes."""

import openai
from given import KEY, URL, raised, report

HI = {"model": "bagel", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}


def main():
    stranger = openai.OpenAI(base_url=f"{URL}/v1", api_key="none", max_retries=0)
    wrong = raised(openai.AuthenticationError, lambda: stranger.chat.completions.create(**HI))
    assert (wrong.status_code, wrong.code, wrong.type) == (401, "invalid_api_key", "invalid_request_error")
    assert "API key" in wrong.message
    known = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)
    assert known.chat.completions.create(**HI).choices[0].message.content
    often = raised(openai.RateLimitError, lambda: known.chat.completions.create(**HI))
    assert (often.status_code, often.code, often.type) == (429, "rate_limit_exceeded", "rate_limit_error")
    assert 0 < int(often.response.headers["retry-after"]) <= 120
    report(version=openai.__version__)


main()
