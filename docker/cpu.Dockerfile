# The tiny scale and the tests on processors alone, with the versions of requirements.lock.
#
#   docker build --file docker/cpu.Dockerfile --tag papers .
#   docker run --rm --volume "$PWD/runs:/papers/runs" papers papers reproduce mexa

FROM python:3.12-slim

RUN pip install --no-cache-dir uv==0.13.9

# What is required changes less often than the code, and is kept between builds.
WORKDIR /papers
COPY pyproject.toml requirements.lock ./
# The lock has the hashes of torch with CUDA; the smaller build for processors has the same version and others.
RUN uv pip install --system --no-cache --torch-backend cpu --no-verify-hashes --constraints requirements.lock --requirements pyproject.toml --group weights

COPY . .
RUN uv pip install --system --no-cache --no-deps --editable .

CMD ["papers"]
