# The front door for Cloud Run or any other host of containers: it listens on $PORT (8080 if there is none), runs as a user
# without rights, and needs no file of its own on Cloud Run. Elsewhere it keeps a key in ./firegate-data: mount a directory that it may
# write and name it as `data_dir`, or mount a key as `assertion.key`. Configure it by $FIREGATE_CONFIG, or mount a file and run
# `serve -c FILE`.
FROM rust:1-bookworm AS builder
WORKDIR /firegate
COPY . .
RUN cargo build --locked --profile dist --package firegate

# The same Debian as the builder's, so that the C library fits; root certificates are part of it.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=builder /firegate/target/dist/firegate /firegate
EXPOSE 8080
ENTRYPOINT ["/firegate"]
CMD ["serve"]
