// Command vendorproto prints buf/validate/validate.proto as proto source, from
// the descriptor that the protovalidate Go module carries. The contract imports
// that file; making it from the module keeps the two at one version and lets
// `buf generate` run without a schema registry.
package main

import (
	"fmt"
	"os"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/jhump/protoreflect/v2/protoprint"
)

const header = `// Made by "go generate" of the contract (tools/vendorproto) from the descriptor
// in the protovalidate Go module. Copyright Buf Technologies, Inc., Apache-2.0.
`

func main() {
	printer := protoprint.Printer{Compact: true}
	source, err := printer.PrintProtoToString(validate.File_buf_validate_validate_proto)
	if err != nil {
		fmt.Fprintln(os.Stderr, "vendorproto:", err)
		os.Exit(1)
	}
	fmt.Print(header + source)
}
