"""Messages of ``onnx.proto`` declared where they are needed, so that the ``onnx`` package is not."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

TYPES = descriptor_pb2.FieldDescriptorProto
Messages = Mapping[str, tuple[tuple[str, int, int | str, bool], ...]]
"""Message to its fields: name, number, type or the name of a message, and whether it is repeated."""


def model_class(messages: Messages, package: str) -> type[message.Message]:
    """The class of the message ``Model`` among these; ``package`` is theirs alone."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in messages.items():
        declared = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            label = TYPES.LABEL_REPEATED if repeated else TYPES.LABEL_OPTIONAL
            entry = declared.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                entry.type = TYPES.TYPE_MESSAGE
                entry.type_name = f".{package}.{kind}"
            else:
                entry.type = kind  # type: ignore[assignment,unused-ignore]
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.Model"))
