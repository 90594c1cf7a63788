#!/bin/bash
# Makes a container image of llama.cpp's server, and a registry that has it: FOLDER/registry.yml.
# Arguments: FOLDER SUITE MIRROR PYTHON SERVER PORT. PYTHON is an interpreter with pip; SERVER is the program that serves.
# It needs root, debootstrap, umoci, skopeo, docker-registry, the mirror, and the Python package index.
set -euo pipefail
folder=$1 suite=$2 mirror=$3 python=$4 server=$5 port=$6
package=$(grep '^xllamacpp==' "$(dirname "$server")/requirements.txt")
tree=$folder/tree
rm -rf --one-file-system "$tree" "$folder/oci" "$folder/registry" "$folder/layer.tar"
debootstrap --variant=minbase --include=python3,libgomp1 "$suite" "$tree" "$mirror"
rm -rf "$tree"/var/lib/apt/lists "$tree"/var/cache/apt "$tree"/usr/share/{doc,locale,man}
# The wheel is for every Python from 3.10 on, and brings its libraries.
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --target "$tree/opt/engine" "$package"
cp "$server" "$tree/opt/engine/engine.py"
chroot "$tree" python3 -c "import sys; sys.path.insert(0, '/opt/engine'); import xllamacpp"
tar -C "$tree" --numeric-owner --one-file-system -cf "$folder/layer.tar" .
umoci init --layout "$folder/oci"
umoci new --image "$folder/oci:1"
umoci raw add-layer --image "$folder/oci:1" "$folder/layer.tar"
# On an emulated processor, every token takes seconds: no system message that the model's own template adds, and no warm-up.
entrypoint=(python3 /opt/engine/engine.py --chat-template chatml --no-warmup)
umoci config --image "$folder/oci:1" "${entrypoint[@]/#/--config.entrypoint=}"
printf 'version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:0"}\n' \
    "$folder/registry" > "$folder/registry.yml"
REGISTRY_HTTP_ADDR=127.0.0.1:$port docker-registry serve "$folder/registry.yml" &
registry=$!
trap 'kill $registry' EXIT
for _ in $(seq 100); do
    (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> "$folder/connect" && break
    sleep 0.1
done
skopeo --insecure-policy copy --dest-tls-verify=false "oci:$folder/oci:1" "docker://127.0.0.1:$port/trial/llama-cpp:1"
rm -rf --one-file-system "$tree" "$folder/oci" "$folder/layer.tar"
