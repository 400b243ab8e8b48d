#!/bin/sh
# Makes, once, the secrets that docker-compose.yml mounts: a password for each role, and two key-encryption keys.
# What is there stays.  As root, because the containers' users must be able to read their files and nobody else.
#     sudo deploy/secrets.sh /etc/everleaf/secrets
set -eu
umask 077
folder=${1:?usage: secrets.sh FOLDER}
OURS=10001 # user and group of the image; the group is given to every container, the files only to those that need them

[ "$(id -u)" = 0 ] || { echo "secrets.sh: run it as root: it gives files to user and group $OURS" >&2; exit 1; }
mkdir -p "$folder"
for role in postgres temporal everleaf_migrator everleaf_api everleaf_lifecycle everleaf_scan everleaf_issue \
    everleaf_deploy everleaf_watch; do
    file=$folder/${role}_password
    [ -e "$file" ] || { head -c 24 /dev/urandom | base64 | tr '+/' '-_' >"$file"; }
    chown "0:$OURS" "$file"
    chmod 0440 "$file"
done
for key in ca.kek leaf.kek; do
    file=$folder/$key
    [ -e "$file" ] || head -c 32 /dev/urandom >"$file"
    chown "$OURS:$OURS" "$file"
    chmod 0400 "$file"
done
echo "Made in $folder. Back up ca.kek and leaf.kek, each apart from the database and from the other."
