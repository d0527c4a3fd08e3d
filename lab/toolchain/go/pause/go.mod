module argus.dev/lab/toolchain/pause

go 1.26.0
