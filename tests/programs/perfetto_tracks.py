"""Decodes a trace with Perfetto's own classes and prints its tracks as JSON. Ends with an error where the trace is not what
Perfetto's documentation asks for: fields that its classes do not know, slices of one track that do not nest, names that are
used before they are said."""

import json
import sys

from google.protobuf.unknown_fields import UnknownFieldSet
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent


def known(message, path):
    unknown = [field.field_number for field in UnknownFieldSet(message)]
    assert not unknown, f"{path} has the unknown fields {unknown}"
    for field, value in message.ListFields():
        if field.message_type is not None:
            values = value if field.is_repeated else [value]
            for one in values:
                known(one, f"{path}.{field.name}")


def value_of(annotation):
    kind = annotation.WhichOneof("value")
    return getattr(annotation, kind)


trace = Trace()
with open(sys.argv[1], "rb") as file:
    trace.ParseFromString(file.read())
known(trace, "trace")

tracks, names, annotation_names = {}, {}, {}
events = []
for number, packet in enumerate(trace.packet):
    assert packet.trusted_packet_sequence_id == 1, "a packet of no sequence"
    # The first one clears what was interned, all others need it.
    assert packet.sequence_flags == (1 if number == 0 else 2), packet.sequence_flags
    for own in packet.interned_data.event_names:
        assert own.iid not in names
        names[own.iid] = own.name
    for own in packet.interned_data.debug_annotation_names:
        assert own.iid not in annotation_names
        annotation_names[own.iid] = own.name
    if packet.HasField("track_descriptor"):
        own = packet.track_descriptor
        assert own.uuid not in tracks, "two tracks with one number"
        assert not own.parent_uuid or own.parent_uuid in tracks, "a parent that was not said before"
        parent = tracks[own.parent_uuid]["path"] if own.parent_uuid else []
        tracks[own.uuid] = {
            "path": parent + [own.name],
            "pid": own.process.pid if own.HasField("process") else own.thread.pid,
            "tid": own.thread.tid,
            "unit": own.counter.unit if own.HasField("counter") else None,
            "unit_name": own.counter.unit_name,
            "slices": [],
            "instants": [],
            "values": [],
        }
    if packet.HasField("track_event"):
        event = packet.track_event
        assert event.track_uuid in tracks, "an event of no track"
        name = names[event.name_iid] if event.name_iid else None
        annotations = {annotation_names[own.name_iid]: value_of(own) for own in event.debug_annotations}
        events.append((packet.timestamp, number, event, name, annotations))

# What Perfetto does with them: by time, and as they were written where that is the same.
stacks = {uuid: [] for uuid in tracks}
for time, _, event, name, annotations in sorted(events, key=lambda event: event[:2]):
    track, stack = tracks[event.track_uuid], stacks[event.track_uuid]
    if event.type == TrackEvent.TYPE_SLICE_BEGIN:
        assert not stack, f"{track['path']}: a slice begins at {time} in another"
        stack.append([name, time, None, annotations])
        track["slices"].append(stack[-1])
    elif event.type == TrackEvent.TYPE_SLICE_END:
        assert stack, f"{track['path']}: an end without a begin at {time}"
        stack.pop()[2] = time
    elif event.type == TrackEvent.TYPE_INSTANT:
        track["instants"].append([name, time, annotations])
    elif event.type == TrackEvent.TYPE_COUNTER:
        assert track["unit"] is not None, "a value of a track that has none"
        value = event.counter_value if event.HasField("counter_value") else event.double_counter_value
        track["values"].append([time, value])
    else:
        raise AssertionError(f"an event of type {event.type}")
print(json.dumps(list(tracks.values())))
