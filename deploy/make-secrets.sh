#!/bin/sh
# Writes what is secret in the team set-up, each into a file of its own in ./secrets (or the folder that is given).
# What is there stays, so that it can be run again; any text can be put into a file instead, in one line.
set -eu
folder=${1:-$(dirname "$0")/../secrets}
mkdir -p "$folder"
chmod 700 "$folder"

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

# keep NAME: the text on standard input becomes that file, unless there is one
keep() {
	if [ -e "$folder/$1" ]; then
		cat >/dev/null
		return
	fi
	(umask 077 && cat >"$folder/$1.new")
	chmod 444 "$folder/$1.new" # the containers' users are not yours; the folder keeps everybody else out
	mv "$folder/$1.new" "$folder/$1"
	echo "made $folder/$1"
}

random | keep database_password
random | keep driver_password
random | keep ray_token
if [ ! -e "$folder/store_identities" ] || [ ! -e "$folder/store_credentials" ]; then
	rm -f "$folder/store_identities" "$folder/store_credentials" # two forms of one secret
fi
secret=$(random)
keep store_credentials <<END
[default]
aws_access_key_id = nas
aws_secret_access_key = $secret
END
keep store_identities <<END
{"identities": [{"name": "nas", "credentials": [{"accessKey": "nas", "secretKey": "$secret"}], "actions": ["Admin"]}]}
END
