"""Messages about credentials, regions, servers and the network."""

from __future__ import annotations

from waybill.messages.entry import Entry

CREDENTIALS = (
    Entry(
        "no-credentials",
        (
            "no AWS credentials found",
            "set `profile` in the config or AWS_PROFILE",
        ),
        "No place where AWS's own tools look for credentials has any.",
        "Set `profile`, or AWS_PROFILE, or the variables AWS_ACCESS_KEY_ID and"
        " AWS_SECRET_ACCESS_KEY, and see with `aws sts get-caller-identity` that they work.",
    ),
    Entry(
        "half-credentials",
        (
            "are not whole",
            "no AWS credentials in them",
            "AWS credentials of two kinds",
            "; set both or neither",
            "; set one of them",
        ),
        "One half of a pair of keys is set and the other is not, or two kinds of credentials are.",
        "Set the one that is named as missing, or take the others away.",
    ),
    Entry(
        "expired-credentials",
        (
            "have expired; renew them",
            "ended at {end}; renew",
            "the credentials ended at",
        ),
        "S3, or the time that is noted with them, says that temporary credentials have ended.",
        "Log in again and run again; what has arrived is not sent again. A long run needs"
        " credentials that renew themselves: a profile with SSO, a role, or a"
        " `credential_process`.",
    ),
    Entry(
        "refused-credentials",
        ("S3 does not accept the AWS credentials",),
        "S3 does not know the key, or the signature made with the secret is wrong.",
        "Check that both are of one pair and of this store; a blank or a line break in a"
        " variable is enough to make one wrong.",
    ),
    Entry(
        "one-time-code",
        (
            "wants a one-time code",
            "a one-time code is wanted",
            ", leave out `profile`",
        ),
        "The role of the profile asks for a code of a second factor (`mfa_serial`). Jobs have"
        " nobody to ask.",
        "Get a session in a terminal with the command in the message; its keys are in"
        " variables then, which count when `profile` is not set. Or name a profile with SSO.",
    ),
    Entry(
        "no-profile",
        ("is not configured; see `aws configure list-profiles`",),
        "`profile` or AWS_PROFILE names a profile that ~/.aws/config does not have.",
        "Correct the name, or make the profile with `aws configure --profile NAME`.",
        "2",
    ),
    Entry(
        "aws-configuration",
        (
            "cannot be read as a configuration of AWS",
            "the AWS configuration cannot be used",
        ),
        "~/.aws/config, ~/.aws/credentials or a variable of AWS holds what AWS's SDK cannot use.",
        "Correct the file or the variable that is named.",
        "2",
    ),
    Entry(
        "no-login",
        ("has expired or cannot be read; renew it",),
        "The login of SSO is over, or there was none.",
        "Log in: `aws sso login --profile NAME`.",
    ),
    Entry(
        "credential-process",
        (
            "cannot be read from",
            "seconds, and was ended",
            "holds a blank, a line break or no ASCII",
            "cannot be signed with them",
            "renew the login or correct what gives them",
            "correct {source}, and run again",
        ),
        "What gives the credentials failed: a `credential_process` is missing, ended with an"
        " error, took more than a minute or printed something else; or"
        " AWS_CREDENTIAL_EXPIRATION is no time. The program cannot ask anybody: it has no"
        " terminal.",
        "Run the program of `credential_process` by hand, and log in where it says so.",
    ),
    Entry(
        "no-metadata",
        ("the metadata service of this machine gives no AWS credentials",),
        "Credentials were looked for at the metadata service of a cloud machine, which gave none.",
        "Give the machine a role, or set `profile`.",
    ),
    Entry(
        "access-denied",
        ("access denied to",),
        "The credentials are good, and do not allow this request. What S3 said more is kept,"
        " such as a missing right on a KMS key.",
        "Ask who runs the bucket for the action that is named. `s3:ListBucket` is a right on"
        " the bucket, the others are on its objects.",
    ),
    Entry(
        "clock",
        ("the clock of this machine is wrong",),
        "Requests carry the time, and S3 refuses those that are 15 minutes off.",
        "Set the clock, for example with chrony.",
    ),
)

PLACES = (
    Entry(
        "no-bucket",
        ("does not exist; Waybill never creates buckets",),
        "There is no bucket of this name.",
        "Correct `destination` or `source`; or make the bucket.",
    ),
    Entry(
        "other-region",
        (
            "; set region =",
            "is in another region",
        ),
        "The bucket is in another region than requests are sent to.",
        "Set `region` to the one that is named.",
    ),
    Entry(
        "no-region",
        (
            "no AWS region; set `region`",
            "is no name of a region; set `region`",
        ),
        "No region is set, or what is set is none.",
        "Set `region` to that of the bucket, like `eu-central-1`; for another store"
        " `us-east-1` often does.",
        "2",
    ),
    Entry(
        "no-address",
        (
            "S3 has no address with these settings",
            "correct `endpoint_url`, `region`",
        ),
        "No address can be made of `endpoint_url`, `region`, `addressing_style` and the bucket.",
        "Correct them; `endpoint_url` is one like `https://s3.example.org`.",
        "2",
    ),
    Entry(
        "value-for-s3",
        (
            "a value cannot be sent to S3",
            "an argument of the request holds a line break",
        ),
        "A setting or a key holds what no request to S3 can.",
        "Correct the setting that is named.",
        "2",
    ),
    Entry(
        "not-s3",
        (
            "the answer is no S3 listing",
            "is none of S3",
            "the answer is not one of S3",
            "sends its requests on to",
            "look for a proxy or a login page on the way",
            "it is no listing",
            "it is a web page",
            "it is a page of another listing",
            "it has no ETag",
            "it has no Content-Length",
            "it tells the checksum of other bytes",
            "it cannot be read,",
            "it is about another key",
            "it has no upload id for this key",
        ),
        "What answered is no S3: a web page, the login page of a network, a proxy that mixes"
        " answers up.",
        "Open the address of `endpoint_url` in a browser. It must be that of the S3 API, not"
        " of the store's web console; a network that wants a login must be logged in to.",
    ),
    Entry(
        "odd-listing",
        (
            ", so the listing is not complete",
            "it tells s3://",
            "it tells a key that is not in it",
            "has no size or time in it",
            "has no size in it",
            "the server gave one continuation token",
            "pages in a row were empty",
            "the server said there is more but not where",
            "does not list parts as S3 does",
            "the upload that was begun is given up",
        ),
        "The store lists objects or parts in a way that S3 never does, so what is there is not"
        " known.",
        "Run again; if it stays, report it to who runs the store.",
    ),
)

NETWORK = (
    Entry(
        "unreachable",
        (
            "cannot reach {_host",
            "the S3 endpoint",
        ),
        "No connection came about: the name of the host is unknown, nothing listens there, or"
        " a firewall is in between.",
        "See whether `curl -I ADDRESS` gets an answer on the same machine; nodes of a cluster"
        " may have no way out.",
    ),
    Entry(
        "proxy",
        ("cannot reach the proxy",),
        "HTTPS_PROXY or HTTP_PROXY names a proxy that does not answer.",
        "Correct or unset the variable, or add the host of the store to NO_PROXY.",
    ),
    Entry(
        "certificate",
        (
            "is not trusted ({reason})",
            "holds no certificates that can be read",
        ),
        "The server has a certificate of an authority that this machine does not know, an old"
        " one, or one for another name.",
        "Name a file with the authority's certificate in AWS_CA_BUNDLE; ask who runs the"
        " store for it. There is no setting that trusts everybody.",
        "1; 2 for a file that cannot be read",
    ),
    Entry(
        "no-tls",
        ("no TLS connection with",),
        "`endpoint_url` says https, and what listens there does not speak it.",
        "Correct scheme or port.",
    ),
    Entry(
        "breaks-off",
        (
            "keeps breaking off",
            "the request could not be sent",
        ),
        "Connections came about and ended before the answer, again and again.",
        "Run again: what has arrived is not sent again. If it stays, set `max_concurrency` or"
        " `threads` lower.",
    ),
    Entry(
        "busy-store",
        ("S3 kept answering",),
        "The store refused the request as often as it was repeated, because it is overloaded"
        " or out of order.",
        "Run again later, with a lower `max_concurrency` if it says SlowDown.",
    ),
    Entry(
        "damaged-on-the-way",
        (
            "the bytes were damaged on the way",
            "do not agree with its",
        ),
        "The checksum of what arrived was wrong, each time.",
        "Run again. If it stays, something between changes bytes: a proxy, a network card, a disk.",
    ),
    Entry(
        "no-ranges",
        ("the server does not answer ranges",),
        "A large object is fetched in ranges, and the store sends the whole.",
        "Ask who runs it to allow the header Range.",
    ),
    Entry(
        "refused-request",
        (
            "{action} failed with",
            "S3 refused {action} (400)",
            "see to the key of the encryption",
        ),
        "S3 refused the request for a reason of its own, which stands in the message with its"
        " code.",
        "Look the code up in the S3 API, under Error responses; for a code of KMS see to the key.",
    ),
    Entry(
        "archived",
        ("the object is archived",),
        "The object is in Glacier or Deep Archive, from where nothing can be fetched at once.",
        "Restore it, wait until that is done, and run again.",
    ),
    Entry(
        "boto3",
        (
            "boto3 cannot go on",
            "boto3 is not installed as it should be",
            "run again, and report it if it stays",
        ),
        "The SDK of AWS failed in a way that has nothing to do with this request.",
        "Make the environment anew (environment.yml); if it stays, report it with the log of"
        " the job.",
    ),
    Entry(
        "engine",
        (
            'cannot be used: {error}; use "auto"',
            "there is a proxy on the way",
            "are signed in a way of their own",
        ),
        '`engine = "native"` cannot serve this bucket, because of a proxy or of its kind.',
        'Set `engine = "auto"`.',
        "2",
    ),
)
