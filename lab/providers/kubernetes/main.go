// Command pulumi-resource-kubernetes stands in for Pulumi's Kubernetes plugin where that cannot be downloaded: any
// object of any kind by server-side apply, waiting until it is ready, replacing it where a field is immutable.
package main

import (
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"argus.dev/lab/providers/internal/plugin"
)

// version is that of the real plugin whose schema this one speaks.
const version = "4.34.2"

func main() {
	plugin.Main(func(host *plugin.Host) pulumirpc.ResourceProviderServer {
		return newProvider(host)
	})
}
