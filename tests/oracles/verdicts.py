"""What PyJWT and google-auth say of each token of the corpus, at its time and with its keys, as JSON on standard output.

google-auth verifies ID tokens of Firebase and of Google alone: it has no function for session cookies and App Check.
"""

import datetime
import json
import sys

import google.auth._helpers
import google.oauth2.id_token
import jwt
import jwt.api_jwt

with open(sys.argv[1], encoding="utf-8") as file:
    CORPUS = json.load(file)

NOW = datetime.datetime.fromtimestamp(CORPUS["now"], tz=datetime.timezone.utc)
SKEW = CORPUS["clock_skew_seconds"]
PROJECT = CORPUS["project"]


class CorpusTime(datetime.datetime):
    """Neither library has a setting for the time."""

    @classmethod
    def now(cls, tz=None):
        return NOW.astimezone(tz)


jwt.api_jwt.datetime = CorpusTime
google.auth._helpers.utcnow = lambda: NOW.replace(tzinfo=None)

# Kind of token: algorithm, issuer, audience.
KINDS = {
    "id_token": ("RS256", f"https://securetoken.google.com/{PROJECT}", PROJECT),
    "session_cookie": ("RS256", f"https://session.firebase.google.com/{PROJECT}", PROJECT),
    "google_id_token": ("RS256", ["https://accounts.google.com", "accounts.google.com"], CORPUS["audience"]),
    "app_check": (
        "RS256",
        f"https://firebaseappcheck.googleapis.com/{CORPUS['project_number']}",
        f"projects/{PROJECT}",
    ),
    "exchanged_token": ("ES256", "https://door.example.com", CORPUS["audience"]),
}
KEYS = {kind: jwt.PyJWKSet.from_dict(CORPUS["jwk_sets"][kind]) for kind in KINDS}


class Certificates:
    """Google's answer to a request for its certificates."""

    status = 200

    def __init__(self, kind):
        self.data = json.dumps(CORPUS["certificates"][kind]).encode()


def pyjwt(kind, token):
    algorithm, issuer, audience = KINDS[kind]
    key = KEYS[kind][jwt.get_unverified_header(token)["kid"]]
    jwt.decode(token, key, algorithms=[algorithm], issuer=issuer, audience=audience, leeway=SKEW)


def google_auth(kind, token):
    verify, audience = {
        "id_token": (google.oauth2.id_token.verify_firebase_token, PROJECT),
        "google_id_token": (google.oauth2.id_token.verify_oauth2_token, CORPUS["audience"]),
    }[kind]
    request = lambda url, method: Certificates(kind)
    if not verify(token, request, audience=audience, clock_skew_in_seconds=SKEW):
        raise ValueError("nothing was verified")


def verdicts(verify, kinds):
    found = {}
    for token in CORPUS["tokens"]:
        kind = "id_token" if token["offered"].startswith("id_token") else token["offered"]
        if kind not in kinds:
            continue
        try:
            verify(kind, token["token"])
            found[token["name"]] = "accept"
        except Exception as error:  # Whatever it raises, it does not accept.
            found[token["name"]] = f"refuse: {type(error).__name__}"
    return found


json.dump(
    {"PyJWT": verdicts(pyjwt, KINDS), "google-auth": verdicts(google_auth, ("id_token", "google_id_token"))},
    sys.stdout,
)
