def test_a(trained): 
    print(trained.epochs, trained.notes, trained.result.test.metrics)
def test_b(logged):
    print(logged)
