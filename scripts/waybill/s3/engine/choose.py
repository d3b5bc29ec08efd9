"""Which engine moves the bytes of a transfer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import botocore.exceptions as be
import botocore.session

from waybill.model.errors import EXIT_CONFIG, WaybillError
from waybill.s3.client import make_client
from waybill.s3.engine.base import Engine, UnsupportedError
from waybill.s3.errors import explain

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

log = logging.getLogger(__name__)


def make_engine(transfer: Transfer, *, accelerate: bool) -> Engine:
    """The engine in the setting ``engine`` of the transfer. ``auto`` chooses the native engine
    where it can serve, else botocore's. ``crt`` is the former name of ``native``.

    Raises WaybillError when the setting is ``native`` and that engine cannot serve, when the
    trusted certificates cannot be read, and the errors of ``make_client``.
    """
    session = botocore.session.get_session()
    client = make_client(transfer, accelerate=accelerate, session=session)
    if transfer.engine != "boto3":
        try:
            from waybill.s3.engine.native import NativeEngine

            return NativeEngine(transfer, session, client)
        except (UnsupportedError, ImportError) as error:
            if transfer.engine != "auto":
                asked = f'engine = "{transfer.engine}"'
                text = f'{transfer.url}: {asked} cannot be used: {error}; use "auto"'
                raise WaybillError(text, exit_code=EXIT_CONFIG) from None
            log.info("engine boto3: %s", error)
        except be.BotoCoreError as error:
            raise explain(error, transfer) from None
    from waybill.s3.engine.boto import BotoEngine

    return BotoEngine(transfer, client)
