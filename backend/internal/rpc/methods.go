package rpc

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/proto"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

// method is what the gate needs of a method. The zero value is closed to everybody.
type method struct {
	permission headracev1.Permission
	// declared is the method in the contract; nil for one of health or reflection.
	declared *contract.Method
	// reads tells that the method changes nothing, streams that its calls last.
	reads, streams bool
}

// open tells whether a method needs no token.
func (m method) open() bool { return m.permission == headracev1.Permission_PERMISSION_OPEN }

// UnknownMethod stands for every path that is not a method of the server: callers choose
// paths, so they are not labels of a metric.
const UnknownMethod = "unknown"

// registered returns the paths of the methods that a server has.
func registered(server *grpc.Server) map[string]bool {
	paths := make(map[string]bool)
	for service, info := range server.GetServiceInfo() {
		for _, m := range info.Methods {
			paths["/"+service+"/"+m.Name] = true
		}
	}
	return paths
}

// methodsByPath returns the methods that the server has: those of the contract, by their
// options, and those of gRPC's own services.
func methodsByPath() map[string]method {
	all := make(map[string]method)
	for _, m := range contract.Methods() {
		all[m.Path()] = method{permission: m.Permission, declared: &m, reads: m.Reads(), streams: m.Streams()}
	}
	foreign := map[*grpc.ServiceDesc]headracev1.Permission{
		&grpc_health_v1.Health_ServiceDesc:              headracev1.Permission_PERMISSION_OPEN,
		&reflectionv1.ServerReflection_ServiceDesc:      headracev1.Permission_PERMISSION_AUTHENTICATED,
		&reflectionv1alpha.ServerReflection_ServiceDesc: headracev1.Permission_PERMISSION_AUTHENTICATED,
	}
	for service, permission := range foreign {
		for _, m := range service.Methods {
			all["/"+service.ServiceName+"/"+m.MethodName] = method{permission: permission, reads: true}
		}
		for _, m := range service.Streams {
			all["/"+service.ServiceName+"/"+m.StreamName] = method{permission: permission, reads: true, streams: true}
		}
	}
	return all
}

// authorize refuses a request of a caller without the permission that the method declares.
// Use cases decide by the same rules again, since others call them too; a test compares
// the two for every method and role.
func (m method) authorize(who auth.Identity, request any) error {
	if m.open() || m.permission == headracev1.Permission_PERMISSION_AUTHENTICATED {
		return nil
	}
	permission, ok := permissionEnum.FromProto(m.permission)
	message, isProto := request.(proto.Message)
	if !ok || permission == "" || !isProto || m.declared == nil {
		return fmt.Errorf("a method without a permission was called with %T", request)
	}
	if m.declared.Account == "" {
		return service.AuthorizeAnywhere(who, permission)
	}
	for _, account := range m.declared.Accounts(message) {
		if err := service.Authorize(who, permission, account); err != nil {
			return err
		}
	}
	return nil
}
