# Every scale on NVIDIA GPUs, with the versions and hashes of requirements.lock. The machine needs the driver and NVIDIA's
# container toolkit; the rest of CUDA comes with torch.
#
#   docker build --file docker/cuda.Dockerfile --tag papers-cuda .
#   docker run --rm --gpus all --ipc host --volume "$PWD/runs:/papers/runs" papers-cuda papers reproduce mexa

FROM python:3.12-slim

ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
# Triton compiles what starts its kernels when they first run.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir uv==0.13.9

# What is required changes less often than the code, and is kept between builds.
WORKDIR /papers
COPY pyproject.toml requirements.lock ./
RUN uv pip install --system --no-cache --constraints requirements.lock --requirements pyproject.toml --extra gpu --extra rl --group weights

COPY . .
RUN uv pip install --system --no-cache --no-deps --editable .

CMD ["papers"]
