"""The one converter of every process: worker, API, command line, replay and tests speak through it.

What a client of its own must know to read our payloads: JSON as pydantic writes it, with zlib or xz around what is
large, and AES-256-GCM around all where EVERLEAF_PAYLOAD_KEYS is set.
"""

from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
)

from workflows.codec import Compression
from workflows.sealing import KeyFile, Sealing

# Its cache of type adapters is what matters: building those of one lifecycle takes 60 to 100 ms, and Temporal makes a
# converter anew for every workflow that it loads (temporalio/sdk-python issue 1695).  It has no other state.
JSON = PydanticJSONPlainPayloadConverter()


class PayloadConverter(CompositePayloadConverter):
    """Temporal's converters with pydantic for JSON, whose adapters all workflows of the process share.

    They may: ``domain`` and ``workflows`` are loaded once, so that a class is the same class in every workflow.
    """

    def __init__(self) -> None:
        usual = DefaultPayloadConverter.default_encoding_payload_converters
        super().__init__(*(JSON if isinstance(one, JSONPlainPayloadConverter) else one for one in usual))


DATA_CONVERTER = DataConverter(payload_converter_class=PayloadConverter, payload_codec=Compression())


def converter(keys: KeyFile | None) -> DataConverter:
    """``DATA_CONVERTER``; with ``keys`` everything is encrypted beside, the texts of failures too.

    Ids, search attributes and the names of workflows and activities are not: Temporal finds and sorts by them.
    """
    if keys is None:
        return DATA_CONVERTER
    return DataConverter(
        payload_converter_class=PayloadConverter,
        payload_codec=Sealing(keys),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
