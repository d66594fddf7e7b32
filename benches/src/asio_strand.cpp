// What a post to a strand of Asio costs: nanoseconds a post and run, in chains and in bursts.
#include <asio.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>

using strand_type = asio::strand<asio::io_context::executor_type>;

struct Link {
    strand_type &strand;
    long &left;
    void operator()() const {
        if (--left > 0) asio::post(strand, Link{strand, left});
    }
};

template <class F> static double each(long times, F run) {
    auto begin = std::chrono::steady_clock::now();
    run();
    std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    return took.count() / times;
}

int main(int, char **argv) {
    const long times = std::atol(argv[1]), burst = 32;
    asio::io_context context(1);
    auto strand = asio::make_strand(context);
    double chain = 1e9, bursts = 1e9;
    for (int round = 0; round < 5; ++round) {
        chain = std::min(chain, each(times, [&] {
            long left = times;
            asio::post(strand, Link{strand, left});
            context.restart();
            context.run();
        }));
        bursts = std::min(bursts, each(times, [&] {
            long ran = 0;
            for (long done = 0; done < times; done += burst) {
                for (long n = 0; n < burst; ++n) asio::post(strand, [&ran] { ++ran; });
                context.restart();
                context.run();
            }
        }));
    }
    std::printf("%.1f %.1f\n", chain, bursts);
}
