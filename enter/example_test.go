package enter_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"nsx/enter"
	"nsx/inspect"
)

// A command in all namespaces of a process, here our own.
func Example() {
	ctx := context.Background()
	target, err := inspect.Resolve(ctx, "self")
	if err != nil {
		log.Fatal(err)
	}
	defer target.Close()
	plan, err := enter.NewPlan(ctx, enter.AllOf(target), enter.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer plan.Close()
	out, err := enter.CommandContext(ctx, plan, "echo", "inside").Output()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", out)
	// Output: inside
}

// A function may run in namespaces as well, but for those of users and time.
func ExampleDo() {
	ctx := context.Background()
	target, err := inspect.Resolve(ctx, "self")
	if err != nil {
		log.Fatal(err)
	}
	defer target.Close()
	plan, err := enter.NewPlan(ctx, []enter.Request{{Type: inspect.Net, Target: target}}, enter.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer plan.Close()
	err = enter.Do(ctx, plan, func() error {
		_, err := os.ReadFile("/proc/thread-self/net/dev") // that network's devices
		return err
	})
	fmt.Println(err)
	// Output: <nil>
}

// Refusals have a reason, by which a program can go another way.
func ExampleError() {
	_, err := enter.NewPlan(context.Background(), nil, enter.Options{
		Unshare: &enter.Unshare{Propagation: "odd", Types: []inspect.Type{inspect.Mnt}},
	})
	fmt.Println(errors.Is(err, enter.ErrUsage))
	fmt.Println(err)
	// Output:
	// true
	// unknown propagation "odd": there are private, slave, shared and unchanged
}
