"""Open WebUI's own image routes, as its page calls them: it asks the server and keeps the pictures as its files."""

import json
import urllib.request

from given import SCENE, URL, part, png_size, report

DATA_URI = part(SCENE)["image_url"]["url"]


def ask(path, body=None, token=None):
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(URL + path, None if body is None else json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=120) as response:
        return response.read()


def files(answer, token):
    return [ask(entry["url"], token=token) for entry in json.loads(answer)]


token = json.loads(ask("/api/v1/auths/signin", {"email": "", "password": ""}))["token"]
models = [model["id"] for model in json.loads(ask("/api/models", token=token))["data"]]
two = files(ask("/api/v1/images/generations", {"prompt": "A red circle", "n": 2, "size": "128x128"}, token), token)
assert [png_size(data) for data in two] == [(128, 128)] * 2
assert two[0] != two[1]
(one,) = files(ask("/api/v1/images/edit", {"prompt": "Make it blue", "image": DATA_URI, "size": "96x64"}, token), token)
assert png_size(one) == (96, 64)
several = {"prompt": "Make it blue", "image": [DATA_URI, DATA_URI], "size": "128x128", "background": "opaque"}
(both,) = files(ask("/api/v1/images/edit", several, token), token)
assert png_size(both) == (128, 128)
asked = {"model": models[0], "messages": [{"role": "user", "content": "What is the capital of France?"}]}
answer = json.loads(ask("/api/chat/completions", asked, token))
assert answer["choices"][0]["message"]["content"]
report(
    version=json.loads(ask("/api/version"))["version"], models=models, generated=[png_size(data) for data in two],
    edited=png_size(one), edited_from_two=png_size(both), text=answer["choices"][0]["message"]["content"],
)  # fmt: skip
