"""Defaults that several command lines share. Imports nothing heavy, so that help is there at once."""

from enum import StrEnum

MODEL = "toy"
HTTP_HOST = "127.0.0.1"
HTTP_PORT = 8091
MASTER_HOST = "127.0.0.1"
MASTER_PORT = 8092  # of the registry, which stages of other nodes join
KV_PAGE_TOKENS = 16
KV_POOL_TOKENS = 32768
# Requests at once on a stage's device, and tokens that one step of a Thinker prefills.
MAX_NUM_SEQS = 1
MAX_NUM_BATCHED_TOKENS = 32768
TASKS = "text2text,img2text,text2img,img2img"
MAX_QUEUE = 64
# Requests of a kind that the gateway lets into a stage at once; the others wait in the gateway, in order.
MAX_RUNNING = 8
DRAIN_S = 30.0
# Below the 600 s after which OpenAI's client gives up by itself.
REQUEST_TIMEOUT_S = 570.0


class LogFormat(StrEnum):
    """Form of the logs; auto is text on a terminal and json elsewhere."""

    AUTO = "auto"
    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """Least level logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


LOG_FORMATS, LOG_LEVELS = tuple(LogFormat), tuple(LogLevel)
