#!/bin/sh
# Makes our namespace, keeps its closed runs for 366 days, and registers our search attributes.  Safe to repeat.
set -eu
RETENTION=8784h
ATTRIBUTES='EverleafTier=Keyword EverleafState=Keyword EverleafOwner=Keyword EverleafIssuer=Keyword
EverleafService=Keyword EverleafRules=Keyword EverleafNeedsHuman=Bool EverleafNotAfter=Datetime
EverleafNextAction=Datetime'

# A server that has just started, or a namespace that was just made, refuses for some seconds.
patiently() {
    for _ in $(seq 60); do
        "$@" && return 0
        sleep 1
    done
    echo "gave up: $*" >&2
    return 1
}

known() { temporal operator namespace describe -n "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; }
made() { known || temporal operator namespace create -n "$TEMPORAL_NAMESPACE" --retention "$RETENTION"; }

patiently made
patiently temporal operator namespace update -n "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
for attribute in $ATTRIBUTES; do
    registered() {
        temporal operator search-attribute list -n "$TEMPORAL_NAMESPACE" | grep -qw "${attribute%=*}" ||
            temporal operator search-attribute create -n "$TEMPORAL_NAMESPACE" \
                --name "${attribute%=*}" --type "${attribute#*=}"
    }
    patiently registered
done
