"""S3's well-known errors, as it words them (S3 API, "Error responses")."""

from __future__ import annotations

from xml.sax.saxutils import escape

from support.faults import Answer


def expired_token() -> Answer:
    return Answer(
        400,
        "ExpiredToken",
        "The provided token has expired.",
        extra_xml="<Token-0>waybill-test-token</Token-0>",
    )


def access_denied() -> Answer:
    return Answer(403, "AccessDenied", "Access Denied")


def invalid_access_key(access_key: str = "AKIAWAYBILLTESTKEY00") -> Answer:
    return Answer(
        403,
        "InvalidAccessKeyId",
        "The AWS Access Key Id you provided does not exist in our records.",
        extra_xml=f"<AWSAccessKeyId>{escape(access_key)}</AWSAccessKeyId>",
    )


def signature_mismatch(access_key: str = "AKIAWAYBILLTESTKEY00") -> Answer:
    return Answer(
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
        extra_xml=f"<AWSAccessKeyId>{escape(access_key)}</AWSAccessKeyId>",
    )


def no_such_bucket(bucket: str) -> Answer:
    return Answer(
        404,
        "NoSuchBucket",
        "The specified bucket does not exist",
        extra_xml=f"<BucketName>{escape(bucket)}</BucketName>",
    )


def no_such_key(key: str) -> Answer:
    return Answer(
        404, "NoSuchKey", "The specified key does not exist.", extra_xml=f"<Key>{escape(key)}</Key>"
    )


def no_such_upload(upload_id: str) -> Answer:
    return Answer(
        404,
        "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may "
        "have been aborted or completed.",
        extra_xml=f"<UploadId>{escape(upload_id)}</UploadId>",
    )


def wrong_region(right: str, status: int = 301, *, bucket: str = "", wrong: str = "") -> Answer:
    """301 PermanentRedirect, or with ``status=400`` AuthorizationHeaderMalformed."""
    headers = {"x-amz-bucket-region": right}
    if status == 400:
        return Answer(
            400,
            "AuthorizationHeaderMalformed",
            f"The authorization header is malformed; the region '{wrong or 'us-east-1'}' is wrong; "
            f"expecting '{right}'",
            headers,
            f"<Region>{escape(right)}</Region>",
        )
    host = f"{bucket}.s3.{right}.amazonaws.com" if bucket else f"s3.{right}.amazonaws.com"
    return Answer(
        status,
        "PermanentRedirect",
        "The bucket you are attempting to access must be addressed using the specified endpoint. "
        "Please send all future requests to this endpoint.",
        headers,
        f"<Endpoint>{escape(host)}</Endpoint><Bucket>{escape(bucket)}</Bucket>",
    )


def slow_down() -> Answer:
    return Answer(503, "SlowDown", "Please reduce your request rate.")


def internal_error(status: int = 500) -> Answer:
    """``status=200`` is how S3 fails CompleteMultipartUpload after it began to answer."""
    return Answer(status, "InternalError", "We encountered an internal error. Please try again.")


def precondition_failed(condition: str = "If-None-Match") -> Answer:
    return Answer(
        412,
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
        extra_xml=f"<Condition>{escape(condition)}</Condition>",
    )


def not_implemented(header: str = "If-None-Match") -> Answer:
    return Answer(
        501,
        "NotImplemented",
        "A header you provided implies functionality that is not implemented",
        extra_xml=f"<Header>{escape(header)}</Header>",
    )
